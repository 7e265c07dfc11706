package tail

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// The table is that of Fluent Bit 5.1.1, so that offsets carry over both ways.
// Older versions lack the last two columns.
//
//	in_tail_files
//	  id                  row id
//	  name                path of the file, the current one after a rotation
//	  offset              bytes of the file that are done with
//	  inode
//	  created             Unix time at which the row was made
//	  rotated             1 after the file was renamed
//	  offset_marker       XXH3 of the bytes in front of offset, as a signed number
//	  offset_marker_size  how many bytes those are: 32, or offset if that is less
const createTable = `CREATE TABLE IF NOT EXISTS in_tail_files (` +
	`  id      INTEGER PRIMARY KEY,` +
	`  name    TEXT NOT NULL,` +
	`  offset  INTEGER,` +
	`  inode   INTEGER,` +
	`  created INTEGER,` +
	`  rotated INTEGER DEFAULT 0,` +
	`  offset_marker INTEGER DEFAULT 0,` +
	`  offset_marker_size INTEGER DEFAULT 0` +
	`);`

// The paths under which rotated files were found are kept in a table of our
// own, which Fluent Bit does not look at: the name in in_tail_files is the one
// that the file has now, but the path is what its tag and its records come from.
//
//	kagari_rotated
//	  file  row id in in_tail_files
//	  path  of the file when it was found
const createRotated = `CREATE TABLE IF NOT EXISTS kagari_rotated (file INTEGER PRIMARY KEY, path TEXT NOT NULL);`

// lockPatience is how long a lock that another process holds is waited for.
const lockPatience = 2 * time.Second

// database keeps offsets. It has one user at a time.
type database struct {
	path string
	file fs.FileInfo // of the path when it was opened
	db   *sql.DB
	conn *sql.Conn
	rows map[uint64]dbRow // by inode, what is stored
	// names is the paths that had a row at the start.
	names map[string]bool
}

// dbRow is what the database knows of a file.
type dbRow struct {
	id         int64
	name       string
	path       string // before it was rotated; empty if it was not
	offset     int64
	markerHash int64
	markerSize int
}

// about tells whether r is about a file of that size with these bytes in front
// of the offset. Older versions of Fluent Bit have stored no marker.
func (r *dbRow) about(size int64, before *marker) bool {
	return 0 <= r.offset && r.offset <= size &&
		(r.markerSize == 0 || r.markerSize == before.n && r.markerHash == before.hash())
}

// dbChange is something to be stored.
type dbChange struct {
	file *file
	// What to do: store the offset, the name after a rotation, or delete the row.
	offset bool
	name   string
	delete bool

	at mark
}

// openDatabase opens or makes the database that the options name.
func openDatabase(c *Config) (*database, error) {
	d, err := connect(c)
	if err == nil {
		if err = d.prepare(c); err == nil {
			return d, nil
		}
		d.close()
	}
	if strings.Contains(err.Error(), "SQLITE_BUSY") || strings.Contains(err.Error(), "database is locked") {
		err = fmt.Errorf("%w; another process is using it", err)
	}
	return nil, fmt.Errorf("open offsets database %q: %w", c.DB, err)
}

func connect(c *Config) (*database, error) {
	path, err := filepath.Abs(c.DB)
	if err != nil {
		return nil, err
	}
	uri := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: fmt.Sprintf("_pragma=busy_timeout(%d)", lockPatience.Milliseconds())}
	db, err := sql.Open("sqlite", uri.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return &database{path: c.DB, db: db, rows: map[uint64]dbRow{}, names: map[string]bool{}}, nil
}

// prepare sets the options, makes the table or its newer columns, and reads it.
func (d *database) prepare(c *Config) (err error) {
	ctx := context.Background()
	if d.conn, err = d.db.Conn(ctx); err != nil {
		return err
	}
	statements := []string{createTable, createRotated, "PRAGMA synchronous=" + syncMode(c.DBSync)}
	if c.DBLocking {
		statements = append(statements, "PRAGMA locking_mode=EXCLUSIVE")
	}
	statements = append(statements, "PRAGMA journal_mode="+c.DBJournalMode)
	for _, s := range statements {
		if _, err := d.conn.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	for _, column := range []string{"offset_marker", "offset_marker_size"} {
		_, err := d.conn.ExecContext(ctx, "ALTER TABLE in_tail_files ADD COLUMN "+column+" INTEGER DEFAULT 0")
		if err != nil && !strings.Contains(err.Error(), "duplicate column name") {
			return err
		}
	}
	if d.file, err = os.Stat(d.path); err != nil {
		return err
	}
	return d.load(ctx)
}

// gone tells whether the file was deleted or replaced since it was opened. SQLite
// goes on writing to a file without a name.
func (d *database) gone() bool {
	st, err := os.Stat(d.path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(st, d.file)
}

// syncModes are the values of db.sync.
var syncModes = map[string]string{"off": "0", "normal": "1", "full": "2", "extra": "3"}

func syncMode(name string) string {
	if mode, ok := syncModes[strings.ToLower(name)]; ok {
		return mode
	}
	return "1"
}

// load reads all rows; of several with an inode the latest counts.
func (d *database) load(ctx context.Context) error {
	rows, err := d.conn.QueryContext(ctx, `SELECT id, name, ifnull(offset, 0), ifnull(inode, 0), ifnull(offset_marker, 0),
		ifnull(offset_marker_size, 0), ifnull(path, '') FROM in_tail_files LEFT JOIN kagari_rotated ON file = id ORDER BY id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r dbRow
		var inode int64
		if err := rows.Scan(&r.id, &r.name, &r.offset, &inode, &r.markerHash, &r.markerSize, &r.path); err != nil {
			return err
		}
		d.rows[uint64(inode)], d.names[r.name] = r, true
	}
	return rows.Err()
}

// deleteOthers deletes the rows of all inodes that are not in known and returns
// how many those were.
func (d *database) deleteOthers(known map[uint64]bool) (n int, err error) {
	err = d.transaction(func(tx *sql.Tx) error {
		for inode := range d.rows {
			if known[inode] {
				continue
			}
			if _, err := tx.Exec("DELETE FROM in_tail_files WHERE inode=?", int64(inode)); err != nil {
				return err
			}
			delete(d.rows, inode)
			n++
		}
		// Fluent Bit deletes rows, too.
		_, err := tx.Exec("DELETE FROM kagari_rotated WHERE file NOT IN (SELECT id FROM in_tail_files)")
		return err
	})
	return n, err
}

// apply stores changes, all or none, and sets the row of files that had none.
func (d *database) apply(changes []dbChange) error {
	made := map[*file]int64{}
	err := d.transaction(func(tx *sql.Tx) error {
		for i := range changes {
			if err := changes[i].apply(tx, made); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store offsets in %q: %w", d.path, err)
	}
	for f, row := range made {
		f.row = row
	}
	for _, c := range changes {
		if c.offset && c.file.row != 0 {
			d.rows[c.file.id.inode] = dbRow{id: c.file.row, name: c.file.name, offset: c.at.offset,
				markerHash: c.at.before.hash(), markerSize: c.at.before.n}
		}
	}
	return nil
}

func (c *dbChange) apply(tx *sql.Tx, made map[*file]int64) error {
	f, row := c.file, c.file.row
	if id, ok := made[f]; ok {
		row = id
	}
	switch {
	case c.delete:
		if _, err := tx.Exec("DELETE FROM kagari_rotated WHERE file=?", row); err != nil {
			return err
		}
		_, err := tx.Exec("DELETE FROM in_tail_files WHERE id=?", row)
		return err
	case c.name != "":
		if _, err := tx.Exec("INSERT OR REPLACE INTO kagari_rotated (file, path) VALUES (?, ?)", row, f.path); err != nil {
			return err
		}
		_, err := tx.Exec("UPDATE in_tail_files SET name=?, rotated=1 WHERE id=?", c.name, row)
		return err
	}
	if row != 0 {
		res, err := tx.Exec("UPDATE in_tail_files SET offset=?, offset_marker=?, offset_marker_size=? WHERE id=?",
			c.at.offset, c.at.before.hash(), c.at.before.n, row)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n > 0 {
			return err
		}
		// Somebody has deleted the row.
	}
	res, err := tx.Exec(`INSERT INTO in_tail_files (name, offset, inode, created, offset_marker, offset_marker_size)
		VALUES (?, ?, ?, ?, ?, ?)`, f.name, c.at.offset, int64(f.id.inode), time.Now().Unix(), c.at.before.hash(), c.at.before.n)
	if err != nil {
		return err
	}
	made[f], err = res.LastInsertId()
	return err
}

func (d *database) transaction(do func(*sql.Tx) error) error {
	tx, err := d.conn.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		// While somebody is reading, SQLite may refuse and keep the transaction
		// open, which database/sql knows nothing of.
		_, _ = d.conn.ExecContext(context.Background(), "ROLLBACK")
		return err
	}
	return nil
}

func (d *database) close() error {
	var errs []error
	if d.conn != nil {
		errs = append(errs, d.conn.Close())
	}
	return errors.Join(append(errs, d.db.Close())...)
}
