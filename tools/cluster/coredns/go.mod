// CoreDNS in a module of its own: it asks for another client-go than Kubernetes, and a shared module would raise that.
module outrider.dev/tools/coredns

go 1.26.0

require github.com/coredns/coredns v1.14.7
