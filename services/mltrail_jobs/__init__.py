"""RQ jobs and the sweeper that finds due work."""
