package lua

import (
	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// The operator .. writes numbers as gopher-lua does, with up to 17 digits, where
// LuaJIT writes 14, and that cannot be changed from outside. So a script's tree
// is rewritten before it is compiled: a .. b .. c becomes a call of concat with
// three arguments, and the script becomes
//
//	local (concat) = ...
//	return function(...) script end
//
// whose variable has a name that no script can write.

const concatName = "(concat)"

// withConcat rewrites a tree and tells whether that is to be called with concat.
func withConcat(tree []ast.Stmt) ([]ast.Stmt, bool) {
	var w concatWriter
	w.block(tree)
	if !w.changed {
		return tree, false
	}
	return []ast.Stmt{
		&ast.LocalAssignStmt{Names: []string{concatName}, Exprs: []ast.Expr{&ast.Comma3Expr{}}},
		&ast.ReturnStmt{Exprs: []ast.Expr{&ast.FunctionExpr{ParList: &ast.ParList{HasVargs: true}, Stmts: tree}}},
	}, true
}

// concatWriter rewrites a tree in place.
type concatWriter struct{ changed bool }

func (w *concatWriter) block(stmts []ast.Stmt) {
	for _, s := range stmts {
		w.stmt(s)
	}
}

func (w *concatWriter) stmt(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.AssignStmt:
		w.exprs(s.Lhs)
		w.exprs(s.Rhs)
	case *ast.LocalAssignStmt:
		w.exprs(s.Exprs)
	case *ast.FuncCallStmt:
		w.expr(&s.Expr)
	case *ast.DoBlockStmt:
		w.block(s.Stmts)
	case *ast.WhileStmt:
		w.expr(&s.Condition)
		w.block(s.Stmts)
	case *ast.RepeatStmt:
		w.block(s.Stmts)
		w.expr(&s.Condition)
	case *ast.IfStmt:
		w.expr(&s.Condition)
		w.block(s.Then)
		w.block(s.Else)
	case *ast.NumberForStmt:
		w.expr(&s.Init)
		w.expr(&s.Limit)
		w.expr(&s.Step)
		w.block(s.Stmts)
	case *ast.GenericForStmt:
		w.exprs(s.Exprs)
		w.block(s.Stmts)
	case *ast.FuncDefStmt:
		w.block(s.Func.Stmts)
	case *ast.ReturnStmt:
		w.exprs(s.Exprs)
	}
}

func (w *concatWriter) exprs(list []ast.Expr) {
	for i := range list {
		w.expr(&list[i])
	}
}

func (w *concatWriter) expr(p *ast.Expr) {
	switch e := (*p).(type) {
	case *ast.AttrGetExpr:
		w.expr(&e.Object)
		w.expr(&e.Key)
	case *ast.TableExpr:
		for _, f := range e.Fields {
			w.expr(&f.Key)
			w.expr(&f.Value)
		}
	case *ast.FuncCallExpr:
		w.expr(&e.Func)
		w.expr(&e.Receiver)
		w.exprs(e.Args)
	case *ast.LogicalOpExpr:
		w.expr(&e.Lhs)
		w.expr(&e.Rhs)
	case *ast.RelationalOpExpr:
		w.expr(&e.Lhs)
		w.expr(&e.Rhs)
	case *ast.ArithmeticOpExpr:
		w.expr(&e.Lhs)
		w.expr(&e.Rhs)
	case *ast.UnaryMinusOpExpr:
		w.expr(&e.Expr)
	case *ast.UnaryNotOpExpr:
		w.expr(&e.Expr)
	case *ast.UnaryLenOpExpr:
		w.expr(&e.Expr)
	case *ast.FunctionExpr:
		w.block(e.Stmts)
	case *ast.StringConcatOpExpr:
		*p = w.call(e)
	}
}

// call returns the call that replaces e.
func (w *concatWriter) call(e *ast.StringConcatOpExpr) ast.Expr {
	w.changed = true
	fn := &ast.IdentExpr{Value: concatName}
	call := &ast.FuncCallExpr{Func: fn, AdjustRet: true}
	for at := e; ; {
		call.Args = append(call.Args, at.Lhs)
		right, ok := at.Rhs.(*ast.StringConcatOpExpr)
		if !ok {
			call.Args = append(call.Args, at.Rhs)
			break
		}
		at = right
	}
	w.exprs(call.Args)
	// Of the last argument, too, only one value counts.
	switch last := call.Args[len(call.Args)-1].(type) {
	case *ast.FuncCallExpr:
		last.AdjustRet = true
	case *ast.Comma3Expr:
		last.AdjustRet = true
	}
	for _, n := range []ast.PositionHolder{fn, call} {
		n.SetLine(e.Line())
		n.SetLastLine(e.LastLine())
	}
	return call
}

// concat is the operator .. for all of its operands at once.
func concat(l *lua.LState) int {
	var room [256]byte
	out := room[:0]
	n := l.GetTop()
	for i := 1; i <= n; i++ {
		switch v := l.Get(i).(type) {
		case lua.LString:
			out = append(out, v...)
		case lua.LNumber:
			out = appendNumberText(out, float64(v))
		default:
			l.Push(concatValues(l, n))
			return 1
		}
	}
	l.Push(lua.LString(out))
	return 1
}

// concatValues concatenates the n arguments, some of which have metatables,
// from the right.
func concatValues(l *lua.LState, n int) lua.LValue {
	right := l.Get(n)
	for i := n - 1; i >= 1; i-- {
		left := l.Get(i)
		if lua.LVCanConvToString(left) && lua.LVCanConvToString(right) {
			right = lua.LString(toString(left) + toString(right))
			continue
		}
		fn := l.GetMetaField(left, "__concat")
		if fn == lua.LNil {
			fn = l.GetMetaField(right, "__concat")
		}
		if fn == lua.LNil {
			if lua.LVCanConvToString(left) {
				left = right
			}
			l.RaiseError("attempt to concatenate a %s value", left.Type().String())
		}
		l.Push(fn)
		l.Push(left)
		l.Push(right)
		l.Call(2, 1)
		right = l.Get(-1)
		l.Pop(1)
	}
	return right
}
