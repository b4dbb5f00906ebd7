"""Small asynchronous building blocks: a clock, a bounded cache, shared look-ups, supervised tasks."""
