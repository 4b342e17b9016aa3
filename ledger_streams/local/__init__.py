"""Local: servers, supervisor, provider simulator and demo data for a laptop; not used in production."""
