package keep

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
)

// restoreLine is what a person types to put file back where it came from.
func restoreLine(file string, meta map[string]string) string {
	if to := meta[metaFile]; to != "" {
		return words("install", "-D", "-m", "0600", file, to)
	}
	var argv []string
	if json.Unmarshal([]byte(meta[metaCommand]), &argv) != nil || len(argv) == 0 {
		return ""
	}
	switch path.Base(argv[0]) {
	case "pg_dump":
		return pgRestore(file, argv[1:])
	case "pg_dumpall":
		return words("psql", "--dbname", "postgres", "--file", file)
	case "sqlite3":
		if len(argv) == 3 && argv[2] == ".dump" {
			return words("sqlite3", argv[1], ".read "+file)
		}
	case "cat":
		if len(argv) == 2 {
			return words("install", "-D", "-m", "0600", file, argv[1])
		}
	}
	return ""
}

// pgRestore is the opposite of a pg_dump with these arguments.
func pgRestore(file string, args []string) string {
	database, custom := "postgres", false
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		take := func() string { // the value of an option
			if !joined && i+1 < len(args) {
				i++
				return args[i]
			}
			return value
		}
		switch {
		case name == "--format" || name == "-F":
			f := take()
			custom = f == "c" || f == "custom" || f == "t" || f == "tar"
		case slices.Contains([]string{"-Fc", "-Ft"}, args[i]):
			custom = true
		case name == "--dbname" || name == "-d":
			database = take()
		case slices.Contains([]string{"-h", "--host", "-p", "--port", "-U", "--username"}, name):
			take()
		case !strings.HasPrefix(name, "-"):
			database = args[i]
		}
	}
	if custom {
		return words("pg_restore", "--clean", "--if-exists", "--dbname", database, file)
	}
	return words("psql", "--dbname", database, "--file", file)
}

// words is a command line that a shell reads as just these words.
func words(all ...string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,@+", r)
	}
	for i, w := range all {
		if w == "" || strings.ContainsFunc(w, func(r rune) bool { return !plain(r) }) {
			all[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(all, " ")
}
