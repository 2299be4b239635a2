-- +goose Up
PRAGMA application_id = 1195463749; -- 0x47415445, "GATE"

CREATE TABLE revision (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    number BIGINT NOT NULL
);
INSERT INTO revision (id, number) VALUES (1, 0);

CREATE TABLE documents (
    kind     TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    body     TEXT   NOT NULL,
    revision BIGINT NOT NULL,
    created  BIGINT NOT NULL,
    updated  BIGINT NOT NULL,
    PRIMARY KEY (kind, name)
);

-- Every version of every document; body is NULL where the document was deleted.
CREATE TABLE history (
    revision BIGINT NOT NULL,
    kind     TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    body     TEXT,
    author   TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (kind, name, revision)
);

CREATE TABLE secrets (
    name    TEXT   PRIMARY KEY,
    sealed  BLOB   NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL
);

CREATE TABLE approvals (
    id           TEXT   PRIMARY KEY,
    state        TEXT   NOT NULL,
    digest       TEXT   NOT NULL,
    session      TEXT   NOT NULL,
    principal    TEXT   NOT NULL,
    connection   TEXT   NOT NULL,
    requested_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    body         TEXT   NOT NULL
);
CREATE INDEX approvals_by_state ON approvals (state, requested_at);
CREATE INDEX approvals_by_digest ON approvals (digest, principal);

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
