"""A pipeline of Kubeflow's whose tasks log to MLflow as their pods' own service account: no secret.

Compile it with ``python kfp_pipeline.py``, which writes ``kfp_pipeline.yaml``. Needs ``kfp[kubernetes]``.
"""

from kfp import compiler, dsl, kubernetes

MLFLOW = "http://mlflow.mlflow.svc/mlflow"
"""Where the overlay ``kubeflow`` has it."""


def add_mlflow_env_vars_to_tasks(tasks: list[dsl.PipelineTask]) -> None:
    """Let the tasks use MLflow with the token that every pod has.

    The workspace is the pod's namespace. The account is ``default-editor`` in a profile of Kubeflow's,
    otherwise ``pipeline-runner``, which needs a binding to ``mlflow-integration``.
    """
    for task in tasks:
        task.set_env_variable("MLFLOW_TRACKING_URI", MLFLOW)
        task.set_env_variable("MLFLOW_TRACKING_AUTH", "kubernetes-namespaced")


def use_mlflow_token(tasks: list[dsl.PipelineTask]) -> None:
    """Let the tasks use MLflow with a token for nothing else: the PodDefault ``mlflow`` adds it.

    KFP itself cannot mount such a token. The PodDefault sets the variables, too. The tasks' image has
    workspace-authz beside MLflow.
    """
    for task in tasks:
        kubernetes.add_pod_label(task, label_key="mlflow", label_value="true")


@dsl.component(base_image="python:3.12", packages_to_install=["mlflow[kubernetes]==3.17.2"])
def train(depth: int) -> str:
    import mlflow  # noqa: PLC0415 - only this function is in the pod

    mlflow.set_experiment("fraud")
    with mlflow.start_run() as run:
        mlflow.log_param("depth", depth)
        mlflow.log_metric("accuracy", 0.9)
    return run.info.run_id


@dsl.component(base_image="registry.example.com/training:1")
def judge(run_id: str) -> float:
    import mlflow  # noqa: PLC0415

    return mlflow.get_run(run_id).data.metrics["accuracy"]


@dsl.pipeline(name="fraud")
def fraud(depth: int = 3) -> float:
    trained = train(depth=depth)
    judged = judge(run_id=trained.output)
    # A run is different each time, also with the same arguments.
    for task in (trained, judged):
        task.set_caching_options(False)
    add_mlflow_env_vars_to_tasks([trained])
    use_mlflow_token([judged])
    return judged.output


if __name__ == "__main__":
    compiler.Compiler().compile(fraud, __file__.replace(".py", ".yaml"))
