"""Tests against the real kube-apiserver (`make e2e`)."""
