-- Writes the database as it stands to the new file $1.
-- Caller: snapshot. Index: none.
VACUUM INTO $1;
