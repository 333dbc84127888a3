-- Adds up orders by customer in the database that the macro DATABASE_URL names. Orders below 0 are left out.
CREATE TABLE orders (id INTEGER, customer TEXT NOT NULL, amount INTEGER NOT NULL);
INSERT INTO orders VALUES (1, 'acme', 10), (2, 'blue', 5), (3, 'acme', 7), (4, 'corn', -1), (5, 'blue', 20);
-- waybill: csv=totals.csv
SELECT customer, SUM(amount) AS total FROM orders WHERE amount >= 0 GROUP BY customer ORDER BY customer;
DROP TABLE orders;
