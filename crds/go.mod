// The CustomResourceDefinitions of the projects that our manifests name objects of, for the tests. Nothing here
// is our code, and none of it is built: scripts/crds takes the files that crds/files names out of these modules.
module workspace-authz/crds

go 1.26.0

require (
	github.com/argoproj/argo-workflows/v3 v3.7.0
	github.com/cert-manager/cert-manager v1.21.2
	github.com/kserve/kserve v0.16.0
	github.com/openshift/api v0.0.0-20250711200046-c86d80652a9e
	github.com/prometheus-operator/prometheus-operator v0.85.0
	github.com/traefik/traefik/v3 v3.6.0
	istio.io/api v1.28.0
	sigs.k8s.io/gateway-api v1.6.0
)
