"""Rounds of trainings in which servers, network and trainers are killed and come back; nothing may be lost or doubled.

`python -m tests.acceptance.fault_rounds --rounds 100`; tests/README.md says more.
"""
