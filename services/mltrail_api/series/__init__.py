"""Metric series as a reader gets them: chosen points, statistics over runs, and the formats they travel in."""
