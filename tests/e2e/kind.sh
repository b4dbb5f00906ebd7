#!/usr/bin/env bash
# The overlay `kind` on a kind cluster, for machines with Docker: tests/e2e/kind.sh [CLUSTER NAME]
#
# It has not been run where this project is developed, since there is no container engine (docs/image.md). The same
# things happen in tests/cluster, which is run.
set -euo pipefail
cd "$(dirname "$0")/../.."

name=${1:-workspace-authz}
tag=workspace-authz:$(sed -n 's/^__version__ = "\(.*\)"/\1/p' workspace_authz/__init__.py)
BUILDER=docker TAG=$tag scripts/image
if kind get clusters | grep -qx "$name"; then
    echo "e2e: there is a kind cluster $name already, which would be deleted in the end: give another name" >&2
    exit 1
fi
trap 'kind delete cluster --name "$name"' EXIT
kind create cluster --name "$name" --wait 120s
kind load docker-image "$tag" --name "$name"
kubectl() { command kubectl --context "kind-$name" "$@"; }

kubectl apply -f manifests/namespace.yaml -f manifests/volume.yaml
kubectl -n mlflow create secret generic mlflow-crypto --from-literal=passphrase="$(openssl rand -hex 32)"
kubectl apply --server-side -f manifests/kind.yaml
kubectl -n mlflow rollout status deployment/mlflow --timeout=300s
kubectl create namespace team-a
kubectl -n team-a create serviceaccount trainer
kubectl -n team-a create rolebinding trainer --clusterrole=mlflow-integration --serviceaccount=team-a:trainer
program='import mlflow; mlflow.set_experiment("e2e"); mlflow.start_run(); mlflow.log_metric("accuracy", 0.9)'
sed "s|image: .*|image: $tag|" manifests/examples/pod-with-client-plugin.yaml |
    kubectl patch --local -f - -o yaml --type merge -p '{"spec":{"restartPolicy":"Never"}}' |
    kubectl patch --local -f - -o yaml --type json \
        -p "[{\"op\":\"add\",\"path\":\"/spec/containers/0/command\",\"value\":[\"python\",\"-c\",$(python3 -c \
            'import json, sys; print(json.dumps(sys.argv[1]))' "$program")]}]" |
    kubectl apply -f -
kubectl -n team-a wait pod/tuning --for=jsonpath='{.status.phase}'=Succeeded --timeout=180s
echo "e2e: ok"
