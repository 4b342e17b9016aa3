DROP INDEX payments_under_way;
