-- From schema 1 to 2: payloads coded against another. Applied with the first of them, so that a store without any stays one
-- that every version of the library reads. The public views say what a payload is coded against from the start.

CREATE INDEX payload_base ON payload (base) WHERE base IS NOT NULL;
