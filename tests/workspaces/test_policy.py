"""Which namespaces are workspaces, and how that is said."""

from __future__ import annotations

import pytest

from workspace_authz.errors import ConfigurationError
from workspace_authz.workspaces.policy import NamespacePolicy


def test_without_parameters_the_settings_hold() -> None:
    policy = NamespacePolicy.from_uri(
        "kubernetes://",
        label_selector=" team in (a,b) ",
        default_workspace="team-a",
        namespace_exclude_globs="tmp-*, ,*-ci",
    )
    assert policy == NamespacePolicy(
        label_selector="team in (a,b)", exclude_globs=("tmp-*", "*-ci"), default_workspace="team-a"
    )


def test_parameters_come_before_settings() -> None:
    policy = NamespacePolicy.from_uri(
        "kubernetes://?label_selector=team%20in%20(a,b)&default_workspace=team-b&namespace_exclude_globs=x-*",
        label_selector="other=1",
        default_workspace="team-a",
        namespace_exclude_globs="tmp-*",
    )
    assert policy == NamespacePolicy(
        label_selector="team in (a,b)", exclude_globs=("x-*",), default_workspace="team-b"
    )


def test_an_empty_parameter_switches_a_setting_off() -> None:
    policy = NamespacePolicy.from_uri(
        "kubernetes:///?label_selector=&default_workspace=&namespace_exclude_globs=",
        label_selector="other=1",
        default_workspace="team-a",
        namespace_exclude_globs="tmp-*",
    )
    assert policy == NamespacePolicy()


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("kubernetes://?labelselector=a", "unknown parameter 'labelselector'; it may have label_selector, "),
        ("kubernetes://?label_selector=a&label_selector=b", "gives label_selector twice"),
        ("kubernetes://cluster", "must be kubernetes://"),
        ("kubernetes:///path", "must be kubernetes://"),
        ("kubernetes://#part", "must be kubernetes://"),
        ("sqlite:///x.db", "must be kubernetes://"),
        (
            "kubernetes://?label_selector=a%3D%3D%3Db",
            "label selector 'a===b' is not a label",
        ),
        ("kubernetes://?default_workspace=kube-system", "default workspace 'kube-system' cannot be one"),
        ("kubernetes://?default_workspace=Team", "default workspace 'Team' cannot be one"),
        (
            "kubernetes://?default_workspace=tmp-1&namespace_exclude_globs=tmp-*",
            "default workspace 'tmp-1' cannot be one",
        ),
    ],
)
def test_what_is_wrong_is_said(uri: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        NamespacePolicy.from_uri(uri)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["team-a", "default", "kubeflow", "my-kube-system", "a" * 63, "42"])
def test_ordinary_names_are_workspaces(name: str) -> None:
    assert not NamespacePolicy(exclude_globs=("tmp-*",)).hides(name)


@pytest.mark.parametrize(
    "name",
    [
        *("kube-system", "kube-public", "openshift-monitoring", "tmp-1"),
        # MLflow cannot take these as the name of a workspace.
        *("api", "ajax-api", "workspaces", "static-files", "x"),
        # These are no names at all; they come from a request's path.
        *("", "..", "a/../b", "a%2f", "Team", "-a", "a-", "a.b", "a\n", "a" * 64, "ä1"),
    ],
)
def test_hidden_names_are_not(name: str) -> None:
    policy = NamespacePolicy(exclude_globs=("tmp-*",))
    assert policy.hides(name)
