"""Asynchronous building blocks: a clock, a bounded cache, coalesced look-ups, supervised tasks."""
