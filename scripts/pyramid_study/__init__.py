"""The parts of scripts/study.py."""
