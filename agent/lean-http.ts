/**
 * node:http, loaded as CommonJS loads it. An ES import makes Node 24 evaluate every export of the module, WebSocket
 * among them, and with it undici: 14 MB that the agent never uses, of the 90 MB that it may have.
 */
export const { createServer } = process.getBuiltinModule('node:http');
