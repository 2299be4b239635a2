-- The same rows in both databases; what is masked comes from the placeholders.
UPDATE customers SET email = '${tag}' || id || '${email}', ssn = '${ssn}' || id, card = '${card}' || lpad(id::text, 4, '0'),
  phone = CASE WHEN id % ${mod} = 0 THEN NULL ELSE '${phone}' || id END, salary = ${salary} + id, born = date '${born}' - id,
  tags = ARRAY['${tag}', '${phone}'], region = CASE WHEN id < 11 THEN 'north' ELSE 'south' END,
  notes = jsonb_build_object('contact', jsonb_build_object('email', '${tag}' || id || '${email}', 'call', '${phone}'), '${tag}', id % ${mod});
UPDATE customers SET email = '${first}', ssn = '${firstssn}' WHERE id = 1;
INSERT INTO people SELECT id, name, email, region FROM customers;
INSERT INTO members SELECT id, name, email FROM customers WHERE id < 11;
INSERT INTO members_gold SELECT id, name, email, id FROM customers WHERE id > 10;
INSERT INTO strict_customers VALUES (1, '${first}', '078-${ssn}', ${mod});
REFRESH MATERIALIZED VIEW customer_copy;
ALTER SERVER loopback OPTIONS (host '127.0.0.1', port '${port}', dbname '${database}', sslmode 'disable');
CREATE USER MAPPING FOR app SERVER loopback OPTIONS (user 'app', password '${password}');
SELECT lo_put(70001, 0, (SELECT string_agg(email, ';') FROM customers)::bytea);
ANALYZE;
