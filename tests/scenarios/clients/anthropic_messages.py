"""One message by Anthropic's SDK: BASE-URL MODEL. The environment holds the key (ANTHROPIC_API_KEY)."""

from __future__ import annotations

import sys

from anthropic import Anthropic

answer = Anthropic(base_url=sys.argv[1], max_retries=0).messages.create(
    model=sys.argv[2], max_tokens=5, messages=[{"role": "user", "content": "?"}]
)
print(answer.content[0].text)
