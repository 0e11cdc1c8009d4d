"""The domain and all that acts on it: words, rules, use cases, Infobip, Celery. Knows nothing of HTTP serving."""
