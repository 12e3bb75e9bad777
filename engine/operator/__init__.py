"""What keeps the engine running: informers, work queue, leader election, metrics, HTTP server, settings and their wiring."""
