"""bootstrap: builds the four apps and passes each part its dependencies as parameters.

`apps` has a function for each app.  Nothing here reads the environment: the caller passes
`Settings` (cli/faust_apps does it for Faust's `-A`).
"""
