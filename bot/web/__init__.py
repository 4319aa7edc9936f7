"""What every HTTP server of ours keeps to: who may ask, where the token lies, how uvicorn is served as a guest."""
