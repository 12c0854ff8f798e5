BEGIN TRANSACTION;
CREATE TABLE enthesis_schema (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
INSERT INTO "enthesis_schema" VALUES('0001');
CREATE TABLE facts (
        id INTEGER NOT NULL PRIMARY KEY,
        "table" TEXT NOT NULL,
        first_id INTEGER NOT NULL,
        "key" VARCHAR(64) NOT NULL,
        ordinal INTEGER NOT NULL,
        payload TEXT NOT NULL,
        content_hash VARCHAR(64) NOT NULL,
        source_id TEXT NOT NULL,
        locator TEXT NOT NULL,
        extractor TEXT NOT NULL,
        author TEXT NOT NULL,
        reason TEXT NOT NULL,
        recorded_at TEXT NOT NULL,
        document VARCHAR(64) NOT NULL,
        file TEXT NOT NULL,
        file_row INTEGER NOT NULL,
        supersedes INTEGER UNIQUE REFERENCES facts (id),
        withdrawn INTEGER NOT NULL CHECK (withdrawn IN (0, 1)),
        CHECK (supersedes IS NULL OR supersedes < id),
        CHECK (first_id <= id),
        CHECK (ordinal >= 1)
    );
INSERT INTO "facts" VALUES(1,'sources',1,'5613bd04a5c48f7246199d8e74cd11ad515c95902ef7ebe356ce07887a64ba08',1,'{"source_id":"vanderheijde2019_lancet","kind":"article","title":"Efficacy and safety of upadacitinib in patients with active ankylosing spondylitis (SELECT-AXIS 1)","year":"2019","url":"https://pubmed.ncbi.nlm.nih.gov/31732180/"}','efa7e53ac7511c9127e1d57c199ccd8230a52e52f33a7ff12839ad0483dbbeac','vanderheijde2019_lancet','','A. Reader','','','2026-11-24T16:49:55.966528+00:00','','',0,NULL,0);
INSERT INTO "facts" VALUES(2,'sources',1,'5613bd04a5c48f7246199d8e74cd11ad515c95902ef7ebe356ce07887a64ba08',1,'{"source_id":"vanderheijde2019_lancet","kind":"article","title":"Efficacy and safety of upadacitinib in patients with active ankylosing spondylitis (SELECT-AXIS 1)","year":"2019","url":"https://pubmed.ncbi.nlm.nih.gov/31732180/","note":"Read again"}','df79ab6570b54875316fe1fbd259ddcf30f9eb700da2e51c3e587d285c5dd6e0','vanderheijde2019_lancet','','B. Reader','','a note was missing','2026-11-24T16:49:55.975618+00:00','','',0,1,0);
CREATE TABLE raw_documents (
        hash VARCHAR(64) NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        size INTEGER NOT NULL,
        stored_at TEXT NOT NULL,
        content BLOB NOT NULL
    );
INSERT INTO "raw_documents" VALUES('480614058770300ff80bcd2f148aa858f001da977a4692fafc167f81ab406d10','source.txt',17,'2026-11-24T16:49:55.981567+00:00',X'6279746573206F66206120736F75726365');
CREATE TABLE snapshots (
        number INTEGER NOT NULL PRIMARY KEY REFERENCES facts (id),
        content_hash VARCHAR(64) NOT NULL,
        recorded_at TEXT NOT NULL,
        facts INTEGER NOT NULL
    );
INSERT INTO "snapshots" VALUES(1,'5ecd33bb4f20b722d3db96cea42bbd99b2bb593e4191720b06a982976f1e9456','2026-11-24T16:49:55.966528+00:00',1);
INSERT INTO "snapshots" VALUES(2,'420a1792afdf9a9b2f1ca53757686f4e65cde4a50b17a580296f914597e9b6af','2026-11-24T16:49:55.975618+00:00',1);
CREATE INDEX facts_key ON facts ("key");
CREATE TRIGGER raw_documents_no_update BEFORE UPDATE ON raw_documents BEGIN SELECT RAISE(ABORT, 'raw_documents are append-only'); END;
CREATE TRIGGER raw_documents_no_delete BEFORE DELETE ON raw_documents BEGIN SELECT RAISE(ABORT, 'raw_documents are append-only'); END;
CREATE TRIGGER raw_documents_no_replace BEFORE INSERT ON raw_documents WHEN EXISTS (SELECT 1 FROM raw_documents WHERE hash = NEW.hash) BEGIN SELECT RAISE(ABORT, 'raw_documents are append-only'); END;
CREATE TRIGGER facts_no_update BEFORE UPDATE ON facts BEGIN SELECT RAISE(ABORT, 'facts are append-only'); END;
CREATE TRIGGER facts_no_delete BEFORE DELETE ON facts BEGIN SELECT RAISE(ABORT, 'facts are append-only'); END;
CREATE TRIGGER facts_no_replace BEFORE INSERT ON facts WHEN EXISTS (SELECT 1 FROM facts WHERE id = NEW.id) BEGIN SELECT RAISE(ABORT, 'facts are append-only'); END;
CREATE TRIGGER snapshots_no_update BEFORE UPDATE ON snapshots BEGIN SELECT RAISE(ABORT, 'snapshots are append-only'); END;
CREATE TRIGGER snapshots_no_delete BEFORE DELETE ON snapshots BEGIN SELECT RAISE(ABORT, 'snapshots are append-only'); END;
CREATE TRIGGER snapshots_no_replace BEFORE INSERT ON snapshots WHEN EXISTS (SELECT 1 FROM snapshots WHERE number = NEW.number) BEGIN SELECT RAISE(ABORT, 'snapshots are append-only'); END;
CREATE TRIGGER facts_one_successor BEFORE INSERT ON facts WHEN NEW.supersedes IS NOT NULL AND EXISTS (SELECT 1 FROM facts WHERE supersedes = NEW.supersedes) BEGIN SELECT RAISE(ABORT, 'facts are append-only: this fact is superseded already'); END;
COMMIT;
