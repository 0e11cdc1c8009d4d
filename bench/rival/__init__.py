"""The rival: one Celery task, one HTTP request and two commits for each message, as a good engineer would write it."""
