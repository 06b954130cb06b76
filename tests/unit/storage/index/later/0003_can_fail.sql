-- Fails half-way when there is such a table already.
UPDATE source SET note = 'changed';
CREATE TABLE later (a INTEGER);
