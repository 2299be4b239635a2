-- The story's tables. Every value is made up, and shaped so that a test can recognise it wherever it turns up:
-- e-mail addresses end in .example.test, SSNs begin with 078-05-, cards with 4000 0077, phones with +1 202 555.
CREATE TABLE customers (
  id      integer PRIMARY KEY,
  name    text NOT NULL,
  email   text NOT NULL UNIQUE,
  ssn     text NOT NULL,
  card    text NOT NULL,
  phone   text,
  notes   jsonb NOT NULL DEFAULT '{}',
  joined  date NOT NULL
);
CREATE TABLE orders (
  id          integer PRIMARY KEY,
  customer_id integer NOT NULL REFERENCES customers,
  status      text NOT NULL,
  total       numeric(10,2) NOT NULL,
  placed_at   timestamptz NOT NULL
);
CREATE TABLE payments (
  id          integer PRIMARY KEY,
  customer_id integer NOT NULL REFERENCES customers,
  order_id    integer REFERENCES orders,
  amount      numeric(10,2) NOT NULL,
  method      text NOT NULL,
  state       text NOT NULL,
  paid_at     timestamptz NOT NULL
);
CREATE VIEW customer_contacts AS SELECT id, name, email, phone FROM customers;

INSERT INTO customers (id, name, email, ssn, card, phone, notes, joined) VALUES
  ( 1, 'Ada Brook', 'ada.brook@mail.example.test', '078-05-1137', '4000007700135798', '+1 202 555 0101', '{}', '2016-02-04'),
  ( 2, 'Ben Castor', 'ben.castor@mail.example.test', '078-05-1174', '4000007700271585', '+1 202 555 0102', '{}', '2017-03-07'),
  ( 3, 'Cleo Dorn', 'cleo.dorn@mail.example.test', '078-05-1211', '4000007700407379', '+1 202 555 0103', '{"backup_email": "cleo@old.example.test", "vip": true}', '2018-04-10'),
  ( 4, 'Dora Ember', 'dora.ember@mail.example.test', '078-05-1248', '4000007700543165', '+1 202 555 0104', '{}', '2019-05-13'),
  ( 5, 'Eli Frost', 'eli.frost@mail.example.test', '078-05-1285', '4000007700678953', '+1 202 555 0105', '{}', '2020-06-16'),
  ( 6, 'Fay Gale', 'fay.gale@mail.example.test', '078-05-1322', '4000007700814749', '+1 202 555 0106', '{"backup_email": "fay@old.example.test", "vip": true}', '2021-07-19'),
  ( 7, 'Gus Heath', 'gus.heath@mail.example.test', '078-05-1359', '4000007700950535', NULL, '{}', '2022-08-22'),
  ( 8, 'Hana Isle', 'hana.isle@mail.example.test', '078-05-1396', '4000007701086321', '+1 202 555 0108', '{}', '2023-09-25'),
  ( 9, 'Ivo Jett', 'ivo.jett@mail.example.test', '078-05-1433', '4000007701222116', '+1 202 555 0109', '{"backup_email": "ivo@old.example.test", "vip": true}', '2015-10-28'),
  (10, 'Jo Kest', 'jo.kest@mail.example.test', '078-05-1470', '4000007701357904', '+1 202 555 0110', '{}', '2016-11-03'),
  (11, 'Kai Loom', 'kai.loom@mail.example.test', '078-05-1507', '4000007701493691', '+1 202 555 0111', '{}', '2017-12-06'),
  (12, 'Lea Marsh', 'lea.marsh@mail.example.test', '078-05-1544', '4000007701629484', '+1 202 555 0112', '{"backup_email": "lea@old.example.test", "vip": true}', '2018-01-09'),
  (13, 'Max North', 'max.north@mail.example.test', '078-05-1581', '4000007701765270', '+1 202 555 0113', '{}', '2019-02-12'),
  (14, 'Noa Onyx', 'noa.onyx@mail.example.test', '078-05-1618', '4000007701901065', NULL, '{}', '2020-03-15'),
  (15, 'Oda Pine', 'oda.pine@mail.example.test', '078-05-1655', '4000007702036853', '+1 202 555 0115', '{"backup_email": "oda@old.example.test", "vip": true}', '2021-04-18'),
  (16, 'Per Quill', 'per.quill@mail.example.test', '078-05-1692', '4000007702172641', '+1 202 555 0116', '{}', '2022-05-21'),
  (17, 'Quin Reed', 'quin.reed@mail.example.test', '078-05-1729', '4000007702308435', '+1 202 555 0117', '{}', '2023-06-24'),
  (18, 'Ria Stone', 'ria.stone@mail.example.test', '078-05-1766', '4000007702444222', '+1 202 555 0118', '{"backup_email": "ria@old.example.test", "vip": true}', '2015-07-27'),
  (19, 'Sol Thorn', 'sol.thorn@mail.example.test', '078-05-1803', '4000007702580017', '+1 202 555 0119', '{}', '2016-08-02'),
  (20, 'Tea Umber', 'tea.umber@mail.example.test', '078-05-1840', '4000007702715803', '+1 202 555 0120', '{}', '2017-09-05');

INSERT INTO orders (id, customer_id, status, total, placed_at) VALUES
  (101,  8, 'shipped', 429.45, '2026-02-02 01:15:00Z'),
  (102, 15, 'returned', 202.72, '2026-03-03 02:15:00Z'),
  (103,  2, 'open', 522.50, '2026-04-04 03:15:00Z'),
  (104,  9, 'paid', 858.19, '2026-05-05 04:15:00Z'),
  (105, 16, 'shipped', 68.28, '2026-06-06 05:15:00Z'),
  (106,  3, 'returned', 99.94, '2026-01-07 06:15:00Z'),
  (107, 10, 'open', 707.39, '2026-02-08 07:15:00Z'),
  (108, 17, 'paid', 128.37, '2026-03-09 08:15:00Z'),
  (109,  4, 'shipped', 484.31, '2026-04-10 09:15:00Z'),
  (110, 11, 'returned', 768.87, '2026-05-11 00:15:00Z'),
  (111, 18, 'open', 81.02, '2026-06-12 01:15:00Z'),
  (112,  5, 'paid', 670.10, '2026-01-13 02:15:00Z'),
  (113, 12, 'shipped', 286.40, '2026-02-14 03:15:00Z'),
  (114, 19, 'returned', 54.14, '2026-03-15 04:15:00Z'),
  (115,  6, 'open', 117.65, '2026-04-16 05:15:00Z'),
  (116, 13, 'paid', 573.38, '2026-05-17 06:15:00Z'),
  (117, 20, 'shipped', 553.10, '2026-06-18 07:15:00Z'),
  (118,  7, 'returned', 96.56, '2026-01-19 08:15:00Z'),
  (119, 14, 'open', 320.44, '2026-02-20 09:15:00Z'),
  (120,  1, 'paid', 123.89, '2026-03-21 00:15:00Z'),
  (121,  8, 'shipped', 727.26, '2026-04-22 01:15:00Z'),
  (122, 15, 'returned', 561.42, '2026-05-23 02:15:00Z'),
  (123,  2, 'open', 82.47, '2026-06-24 03:15:00Z'),
  (124,  9, 'paid', 746.15, '2026-01-25 04:15:00Z');

INSERT INTO payments (id, customer_id, order_id, amount, method, state, paid_at) VALUES
  (501,  8, 101, 167.26, 'transfer', 'settled', '2026-02-02 01:20:00Z'),
  (502, 15, 102, 297.60, 'wallet', 'settled', '2026-03-03 02:20:00Z'),
  (503,  2, 103, 831.57, 'card', 'settled', '2026-04-04 03:20:00Z'),
  (504,  9, 104, 827.38, 'transfer', 'settled', '2026-05-05 04:20:00Z'),
  (505, 16, 105, 769.14, 'wallet', 'settled', '2026-06-06 05:20:00Z'),
  (506,  3, 106, 86.08, 'card', 'settled', '2026-01-07 06:20:00Z'),
  (507, 10, 107, 761.42, 'transfer', 'settled', '2026-02-08 07:20:00Z'),
  (508, 17, 108, 772.48, 'wallet', 'duplicate', '2026-03-09 08:20:00Z'),
  (509,  4, 109, 524.93, 'card', 'settled', '2026-04-10 09:20:00Z'),
  (510, 11, 110, 69.99, 'transfer', 'settled', '2026-05-11 00:20:00Z'),
  (511, 18, 111, 294.77, 'wallet', 'settled', '2026-06-12 01:20:00Z'),
  (512,  5, 112, 66.05, 'card', 'settled', '2026-01-13 02:20:00Z'),
  (513, 12, 113, 734.63, 'transfer', 'settled', '2026-02-14 03:20:00Z'),
  (514, 19, 114, 179.55, 'wallet', 'settled', '2026-03-15 04:20:00Z'),
  (515,  6, 115, 384.59, 'card', 'settled', '2026-04-16 05:20:00Z'),
  (516, 13, 116, 554.37, 'transfer', 'duplicate', '2026-05-17 06:20:00Z'),
  (517, 20, 117, 194.07, 'wallet', 'settled', '2026-06-18 07:20:00Z'),
  (518,  7, 118, 713.68, 'card', 'settled', '2026-01-19 08:20:00Z'),
  (519, 14, 119, 159.39, 'transfer', 'settled', '2026-02-20 09:20:00Z'),
  (520,  1, 120, 753.30, 'wallet', 'settled', '2026-03-21 00:20:00Z'),
  (521,  8, 121, 409.33, 'card', 'settled', '2026-04-22 01:20:00Z'),
  (522, 15, 122, 739.34, 'transfer', 'settled', '2026-05-23 02:20:00Z'),
  (523,  2, 123, 898.91, 'wallet', 'settled', '2026-06-24 03:20:00Z'),
  (524,  9, 124, 241.88, 'card', 'duplicate', '2026-01-25 04:20:00Z');

ANALYZE customers, orders, payments;
