"""PostgreSQL: the pool, the migrations, the sink of the projector and the read model of the web views."""
