// CoreDNS with its usual plugins: the cluster's DNS, run beside the control plane.
package main

import (
	_ "github.com/coredns/coredns/core/plugin" // registers every plugin of the usual build
	"github.com/coredns/coredns/coremain"
)

func main() { coremain.Run() }
