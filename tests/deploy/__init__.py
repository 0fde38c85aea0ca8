"""What is deployed, rendered by Helm and kubectl and tried on the real kube-apiserver (`make deploy`)."""
