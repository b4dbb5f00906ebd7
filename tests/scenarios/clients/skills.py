"""MLflow's client of skills: ``skills.py register FOLDER ORGANIZATION``, ``pull URI FOLDER`` or ``list``."""

from __future__ import annotations

import json
import sys

import mlflow.genai
import mlflow.genai.skills


def main(command: str, *arguments: str) -> None:
    """Print the answer as JSON."""
    match command:
        case "register":
            folder, organization = arguments
            made = mlflow.genai.register_skill(source=folder, organization=organization)
            answer: object = {"version": made.version, "source": made.source.artifact_path}
        case "pull":
            uri, destination = arguments
            answer = mlflow.genai.skills.pull(uri, destination=destination)
        case _:
            found = mlflow.genai.search_skills(max_results=1000)
            answer = sorted((skill.organization, skill.name, skill.created_by) for skill in found)
    print(json.dumps(answer))


main(*sys.argv[1:])
