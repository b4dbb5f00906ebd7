"""A cluster with real pods on this machine: etcd, kube-apiserver, controllers, kubelet, containerd and runc.

It lives in mount, network and process namespaces of its own. Nothing of it outlives its first process.
"""
