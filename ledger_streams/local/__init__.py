"""Local: servers, supervisor, provider simulator and demo data for a laptop; never in the image."""
