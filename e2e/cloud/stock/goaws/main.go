// Command goaws serves GoAWS, an emulator of SQS in its older Query protocol, on a Unix socket: its own program listens on
// every address of the machine.
package main

import (
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/Admiral-Piett/goaws/app/conf"
	"github.com/Admiral-Piett/goaws/app/gosqs"
	"github.com/Admiral-Piett/goaws/app/router"
)

// main takes the configuration file and the socket.
func main() {
	conf.LoadYamlConfig(os.Args[1], "Local")
	go gosqs.PeriodicTasks(time.Second, make(chan struct{}))
	l, err := net.Listen("unix", os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(l, router.New()))
}
