"""Campaigns: who is written to and who is held out, files that are safe to open, and what a campaign brought."""
