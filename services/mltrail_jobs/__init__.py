"""Jobs: work that follows from the log, the read model and the clock, found by a sweeper and run by workers.

    sweeper     what is due now, and under which id
    reaper      runs whose writers went silent are lost, and return when they are heard of
    uploads     uploads past the server are noted, given up and removed; unfinished ones through it, too
    hashing     what was uploaded past the server is hashed, and a blob from then on
    verification   stored artifacts are hashed again and compared with the log
    webhook_*   deliveries of webhooks are found, made, and tried again
    worker      `run_jobs`: through RQ where the log is in Redis, in process where it is a folder

RQ holds no truth: what it forgets, the sweeper finds again.
"""
