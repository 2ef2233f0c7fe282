// A server for the test of the Go recipe. Prints its port.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"scxslo"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	served := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "served") })
	panic(http.Serve(listener, scxslo.New(os.Args[1]).Middleware(served)))
}
