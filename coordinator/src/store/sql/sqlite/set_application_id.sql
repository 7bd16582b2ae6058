-- Marks a file as an Offramp database: "OFRM".
-- Caller: open. Index: none.
PRAGMA application_id = 1330008653;
