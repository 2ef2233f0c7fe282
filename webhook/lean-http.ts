/**
 * node:http and node:https, loaded as CommonJS loads them: an ES import makes Node 24 evaluate every export, WebSocket
 * among them, and with it undici, 14 MB that a webhook never uses.
 */
export const { createServer: createHttpServer } = process.getBuiltinModule('node:http');
export const { createServer: createHttpsServer } = process.getBuiltinModule('node:https');
