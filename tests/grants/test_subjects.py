"""Each subject has one text, and the text leads back to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace_authz.errors import BadRequestError
from workspace_authz.grants.subjects import Subject, SubjectKind, group_subject, subject_of_text, user_subject

NAMES = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=40)


@given(NAMES)
def test_a_users_text_leads_back(name: str) -> None:
    subject = user_subject(name)
    assert subject_of_text(subject.text) == subject


@given(NAMES)
def test_a_groups_text_leads_back(name: str) -> None:
    assert subject_of_text(group_subject(name).text) == group_subject(name)


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("alice", Subject(SubjectKind.USER, "alice")),
        ("https://idp.example/x#eve", Subject(SubjectKind.USER, "https://idp.example/x#eve")),
        ("group:data-scientists", Subject(SubjectKind.GROUP, "data-scientists")),
        ("user:group:x", Subject(SubjectKind.USER, "group:x")),
        (
            "system:serviceaccount:team-a:trainer",
            Subject(SubjectKind.SERVICE_ACCOUNT, "trainer", "team-a"),
        ),
        ("system:serviceaccount:team-a:", Subject(SubjectKind.USER, "system:serviceaccount:team-a:")),
    ],
)
def test_what_a_text_means(text: str, subject: Subject) -> None:
    assert subject_of_text(text) == subject
    assert subject.text == text


@pytest.mark.parametrize("text", ["", "group:", "user:", "a\nb", "a\0b", "x" * 513])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(BadRequestError):
        subject_of_text(text)


def test_subjects_as_they_stand_in_a_binding() -> None:
    assert group_subject("g").manifest == {
        "kind": "Group",
        "name": "g",
        "apiGroup": "rbac.authorization.k8s.io",
    }
    assert user_subject("system:serviceaccount:team-a:trainer").manifest == {
        "kind": "ServiceAccount",
        "name": "trainer",
        "namespace": "team-a",
    }
