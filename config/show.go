package config

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Show writes the effective configuration as TOML that Parse reads back to the
// same values; what is as by default is marked. Secrets are paths, so the
// output may be shown to others.
func (c Config) Show(w io.Writer) error {
	c = c.Resolve()
	byDefault := Default()
	byDefault.Dir = c.Dir
	byDefault = byDefault.Resolve()

	var out strings.Builder
	out.WriteString("# Effective configuration of this machine. Keys marked \"default\" need not be written.\n")
	// dir itself is compared with the real default; all other paths follow it.
	showTable(&out, "", reflect.ValueOf(c), reflect.ValueOf(byDefault), map[string]bool{"dir": c.Dir == Default().Dir})
	for _, n := range c.Nodes {
		showEntry(&out, "node", n, Node{Operator: n.Name})
	}
	for _, b := range c.Buckets {
		showEntry(&out, "bucket", b, Bucket{})
	}
	for _, k := range c.Keep {
		showEntry(&out, "keep", k, Keep{}.resolve())
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// showTable writes the keys of v, then its tables. known overrides whether a
// key is as by default.
func showTable(out *strings.Builder, table string, v, byDefault reflect.Value, known map[string]bool) {
	var tables []int
	for i := range v.NumField() {
		switch f := v.Type().Field(i); {
		case shapeOf(f.Type) == aTable && !strings.HasSuffix(f.Tag.Get("toml"), ",inline"):
			tables = append(tables, i)
		case shapeOf(f.Type) == aList:
		default:
			same, ok := known[tagName(f)]
			if !ok {
				same = reflect.DeepEqual(v.Field(i).Interface(), byDefault.Field(i).Interface())
			}
			showKey(out, tagName(f), v.Field(i), same)
		}
	}
	for _, i := range tables {
		name := tagName(v.Type().Field(i))
		if table != "" {
			name = table + "." + name
		}
		fmt.Fprintf(out, "\n[%s]\n", name)
		showTable(out, name, v.Field(i), byDefault.Field(i), nil)
	}
}

// showEntry writes one entry of a list; keys left out of it stay out.
func showEntry[T any](out *strings.Builder, list string, entry, byDefault T) {
	fmt.Fprintf(out, "\n[[%s]]\n", list)
	v, d := reflect.ValueOf(entry), reflect.ValueOf(byDefault)
	for i := range v.NumField() {
		if name := tagName(v.Type().Field(i)); !v.Field(i).IsZero() || name == "public" {
			showKey(out, name, v.Field(i), reflect.DeepEqual(v.Field(i).Interface(), d.Field(i).Interface()))
		}
	}
}

func showKey(out *strings.Builder, key string, v reflect.Value, byDefault bool) {
	mark := ""
	if byDefault {
		mark = "  # default"
	}
	fmt.Fprintf(out, "%s = %s%s\n", key, literal(v), mark)
}

// literal is the value as TOML.
func literal(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			panic("config: " + err.Error()) // unreachable: the types of units.go never fail
		}
		return quote(string(text))
	}
	switch v.Kind() {
	case reflect.Int:
		return fmt.Sprint(v.Int())
	case reflect.Bool:
		return fmt.Sprint(v.Bool())
	case reflect.Slice:
		var parts []string
		for i := range v.Len() {
			parts = append(parts, literal(v.Index(i)))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.Struct:
		var parts []string
		for i := range v.NumField() {
			parts = append(parts, tagName(v.Type().Field(i))+" = "+literal(v.Field(i)))
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	return quote(v.String())
}

// quote writes plain text as everybody writes it and leaves the rest to the
// library, which knows TOML's escapes.
func quote(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return `"` + s + `"`
	}
	line, err := toml.Marshal(map[string]string{"k": s})
	if err != nil {
		panic("config: " + err.Error()) // unreachable: a string always has a TOML form
	}
	return strings.TrimSpace(strings.TrimPrefix(string(line), "k ="))
}
