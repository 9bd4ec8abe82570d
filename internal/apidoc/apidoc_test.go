package apidoc

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the module's directory.
const root = "../.."

// Every exported name that others can import has a doc comment. Those of
// packages, types, functions and methods begin with the name. One comment for a
// group of constants or variables is enough, and so is one at the end of a
// field's line. The fields of the examples' types may speak for themselves.
func TestEveryExportedNameHasAComment(t *testing.T) {
	packages, err := sources(root)
	if err != nil {
		t.Fatal(err)
	}
	// A walk that finds nothing would find nothing wrong.
	for _, dir := range []string{"gateway", "hooks", "protocol", "transport"} {
		if len(packages[dir]) == 0 {
			t.Errorf("no files in %s; does root still lead to the module?", dir)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		c := &checker{fset: token.NewFileSet(), fields: !within("examples", dir)}
		if err := c.check(packages[dir]); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
		for _, f := range c.findings {
			t.Error(f)
		}
	}
}

// sources returns the files of each package directory, tests aside, that can
// be imported from outside the module.
func sources(root string) (map[string][]string, error) {
	packages := make(map[string][]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil:
			return err
		case !d.IsDir():
			if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
				dir, err := filepath.Rel(root, filepath.Dir(path))
				if err != nil {
					return err
				}
				packages[dir] = append(packages[dir], path)
			}
		case path != root && (name == "internal" || name == "testdata" || name[0] == '.' || name[0] == '_'):
			return filepath.SkipDir
		}
		return nil
	})
	return packages, err
}

// within reports whether dir is top or beneath it.
func within(top, dir string) bool {
	return dir == top || strings.HasPrefix(dir, top+string(filepath.Separator))
}

// A checker looks at one package.
type checker struct {
	fset     *token.FileSet
	fields   bool // whether fields need comments
	findings []string
}

func (c *checker) check(paths []string) error {
	var files []*ast.File
	for _, path := range paths {
		f, err := parser.ParseFile(c.fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	if files[0].Name.Name == "main" {
		return nil
	}
	c.packageComment(files)
	public := publicTypes(files)
	for _, f := range files {
		if ast.IsGenerated(f) {
			continue
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && (d.Recv == nil || public[baseName(d.Recv.List[0].Type)]) {
					c.named(d.Name, d.Doc)
				}
			case *ast.GenDecl:
				c.group(d)
			}
		}
	}
	return nil
}

func (c *checker) packageComment(files []*ast.File) {
	name := files[0].Name
	for _, f := range files {
		if strings.HasPrefix(f.Doc.Text(), "Package "+name.Name+" ") {
			return
		}
	}
	c.report(name, "has no package comment that begins with \"Package "+name.Name+"\"")
}

// publicTypes are the types whose exported methods others can call: those that
// are exported, and those that exported structs embed.
func publicTypes(files []*ast.File) map[string]bool {
	public := make(map[string]bool)
	for _, f := range files {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, s := range g.Specs {
				s := s.(*ast.TypeSpec)
				if !s.Name.IsExported() {
					continue
				}
				public[s.Name.Name] = true
				if st, ok := s.Type.(*ast.StructType); ok {
					for _, field := range st.Fields.List {
						if len(field.Names) == 0 {
							public[baseName(field.Type)] = true
						}
					}
				}
			}
		}
	}
	return public
}

// baseName is the name of a type without its package, pointer and type
// parameters.
func baseName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return baseName(e.X)
	case *ast.ParenExpr:
		return baseName(e.X)
	case *ast.IndexExpr:
		return baseName(e.X)
	case *ast.IndexListExpr:
		return baseName(e.X)
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

func (c *checker) group(d *ast.GenDecl) {
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			doc := s.Doc
			if doc == nil && !d.Lparen.IsValid() {
				doc = d.Doc
			}
			if s.Name.IsExported() {
				c.named(s.Name, doc)
				c.members(s.Name.Name, s.Type)
			}
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if name.IsExported() && empty(d.Doc) && empty(s.Doc) && empty(s.Comment) {
					c.report(name, "has no comment, and neither has its group")
				}
			}
		}
	}
}

// members checks the fields of a struct and the methods of an interface.
func (c *checker) members(of string, e ast.Expr) {
	switch e := e.(type) {
	case *ast.StructType:
		if !c.fields {
			return
		}
		for _, f := range e.Fields.List {
			names := f.Names
			if len(names) == 0 {
				names = []*ast.Ident{{NamePos: f.Pos(), Name: baseName(f.Type)}}
			}
			for _, name := range names {
				if !name.IsExported() {
					continue
				}
				if empty(f.Doc) && empty(f.Comment) {
					c.report(name, "of "+of+" has no comment")
				}
				c.members(of+"."+name.Name, f.Type)
			}
		}
	case *ast.InterfaceType:
		for _, m := range e.Methods.List {
			for _, name := range m.Names {
				if name.IsExported() {
					c.named(name, m.Doc)
				}
			}
		}
	}
}

// named checks the comment of something that it must name first.
func (c *checker) named(name *ast.Ident, doc *ast.CommentGroup) {
	text := doc.Text()
	if strings.TrimSpace(text) == "" {
		c.report(name, "has no comment")
		return
	}
	words := strings.Fields(text)
	if len(words) > 1 && (words[0] == "A" || words[0] == "An" || words[0] == "The") {
		words = words[1:]
	}
	if strings.TrimRight(words[0], ",.:;") != name.Name {
		c.report(name, fmt.Sprintf("has a comment that begins with %q, not with its name", words[0]))
	}
}

func empty(doc *ast.CommentGroup) bool { return strings.TrimSpace(doc.Text()) == "" }

func (c *checker) report(name *ast.Ident, what string) {
	c.findings = append(c.findings, fmt.Sprintf("%s: %s %s", c.fset.Position(name.Pos()), name.Name, what))
}
