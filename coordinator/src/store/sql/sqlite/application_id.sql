-- Whose file it is.
-- Caller: open. Index: none.
PRAGMA application_id;
