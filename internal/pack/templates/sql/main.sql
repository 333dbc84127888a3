-- Greets from the database that the macro DATABASE_URL names.
CREATE TABLE greetings (name TEXT NOT NULL);
INSERT INTO greetings (name) VALUES ('world');
SELECT 'Hello, ' || name || '!' AS greeting FROM greetings;
DROP TABLE greetings;
