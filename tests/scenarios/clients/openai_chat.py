"""One question by OpenAI's SDK: BASE-URL MODEL. The environment holds the key (OPENAI_API_KEY)."""

from __future__ import annotations

import sys

from openai import OpenAI

answer = OpenAI(base_url=sys.argv[1], max_retries=0).chat.completions.create(
    model=sys.argv[2], messages=[{"role": "user", "content": "?"}]
)
print(answer.choices[0].message.content)
