"""A real control plane for tests: etcd and kube-apiserver, built from Go modules, started and stopped from Python."""
