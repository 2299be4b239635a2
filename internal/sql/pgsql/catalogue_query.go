package pgsql

// CatalogueQuery is the gateway's own reading of what a database holds: one statement, one row with one text column, for
// ParseCatalogue. It works on PostgreSQL 12 to 18 and needs no right beyond connecting. Every name and operator is
// qualified, so that a hostile search_path changes nothing; the answer holds names, types and definitions of views, and
// never a value.
//
// writes and reads say that writing or reading the relation may run code that is not PostgreSQL's own: triggers, and
// defaults, checks, indexes and row security policies that depend on functions of users, and foreign keys that cascade.
const CatalogueQuery = `select pg_catalog.json_build_object(
 'version', pg_catalog.current_setting('server_version_num')::pg_catalog.int4,
 'encoding', pg_catalog.current_setting('server_encoding'),
 'path', pg_catalog.to_json(pg_catalog.current_schemas(true)),
 'schemas', (select pg_catalog.json_agg(n.nspname order by n.oid) from pg_catalog.pg_namespace n
   where n.nspname operator(pg_catalog.!~) '^pg_(toast|temp)'),
 'relations', (select pg_catalog.json_agg(pg_catalog.json_build_object(
    'o', c.oid::pg_catalog.int8, 's', n.nspname, 'n', c.relname, 'k', c.relkind, 't', c.reltype::pg_catalog.int8,
    'c', (select pg_catalog.json_agg(pg_catalog.json_build_array(a.attnum, a.attname, a.atttypid::pg_catalog.int8,
         case when a.attnotnull then 2 else 0 end operator(pg_catalog.+)
         case when a.attgenerated operator(pg_catalog.<>) ''::pg_catalog."char" then 4 else 0 end) order by a.attnum)
       from pg_catalog.pg_attribute a
       where a.attrelid operator(pg_catalog.=) c.oid and a.attnum operator(pg_catalog.>) 0 and not a.attisdropped),
    'd', case when c.relkind operator(pg_catalog.=) any ('{v,m}'::pg_catalog."char"[])
         and n.nspname operator(pg_catalog.<>) all ('{pg_catalog,information_schema}'::pg_catalog.name[])
         then pg_catalog.pg_get_viewdef(c.oid) end,
    'rules', exists (select 1 from pg_catalog.pg_rewrite r where r.ev_class operator(pg_catalog.=) c.oid
         and r.rulename operator(pg_catalog.<>) '_RETURN' and n.nspname operator(pg_catalog.<>) 'pg_catalog'),
    'writes', exists (select 1 from pg_catalog.pg_trigger g where g.tgrelid operator(pg_catalog.=) c.oid and not g.tgisinternal)
       or exists (select 1 from pg_catalog.pg_depend p join pg_catalog.pg_attrdef x
            on p.classid operator(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass and p.objid operator(pg_catalog.=) x.oid
          where x.adrelid operator(pg_catalog.=) c.oid and p.refclassid operator(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass)
       or exists (select 1 from pg_catalog.pg_depend p join pg_catalog.pg_constraint x
            on p.classid operator(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass and p.objid operator(pg_catalog.=) x.oid
          where x.conrelid operator(pg_catalog.=) c.oid and p.refclassid operator(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass)
       or exists (select 1 from pg_catalog.pg_depend p join pg_catalog.pg_index x
            on p.classid operator(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass and p.objid operator(pg_catalog.=) x.indexrelid
          where x.indrelid operator(pg_catalog.=) c.oid and p.refclassid operator(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass)
       or exists (select 1 from pg_catalog.pg_constraint x where x.confrelid operator(pg_catalog.=) c.oid
            and (x.confdeltype operator(pg_catalog.=) any ('{c,n,d}'::pg_catalog."char"[])
              or x.confupdtype operator(pg_catalog.=) any ('{c,n,d}'::pg_catalog."char"[]))),
    'reads', exists (select 1 from pg_catalog.pg_depend p join pg_catalog.pg_policy x
            on p.classid operator(pg_catalog.=) 'pg_catalog.pg_policy'::pg_catalog.regclass and p.objid operator(pg_catalog.=) x.oid
          where x.polrelid operator(pg_catalog.=) c.oid and p.refclassid operator(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass)
   ) order by c.oid)
   from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
   where c.relkind operator(pg_catalog.=) any ('{r,v,m,f,p,S,c}'::pg_catalog."char"[])
     and n.nspname operator(pg_catalog.!~) '^pg_(toast|temp)'),
 'inherits', (select pg_catalog.json_agg(pg_catalog.json_build_array(i.inhrelid::pg_catalog.int8, i.inhparent::pg_catalog.int8)
     order by i.inhrelid, i.inhparent)
   from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) i.inhrelid
   where c.relkind operator(pg_catalog.=) any ('{r,f,p}'::pg_catalog."char"[])),
 'functions', (select pg_catalog.json_agg(x.j) from (
   select distinct pg_catalog.jsonb_build_array(n.nspname, f.proname, f.provolatile, coalesce(e.extname, '')) as j
   from pg_catalog.pg_proc f join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) f.pronamespace
   left join pg_catalog.pg_depend d on d.classid operator(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
     and d.objid operator(pg_catalog.=) f.oid and d.deptype operator(pg_catalog.=) 'e'
   left join pg_catalog.pg_extension e on e.oid operator(pg_catalog.=) d.refobjid
   where (n.nspname operator(pg_catalog.<>) all ('{pg_catalog,information_schema}'::pg_catalog.name[])
     or f.oid operator(pg_catalog.>=) 16384::pg_catalog.oid)
     and n.nspname operator(pg_catalog.!~) '^pg_(toast|temp)' order by 1) x),
 'operators', (select pg_catalog.json_agg(x.j) from (
   select distinct pg_catalog.jsonb_build_array(n.nspname, o.oprname, coalesce(e.extname, '')) as j
   from pg_catalog.pg_operator o join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) o.oprnamespace
   left join pg_catalog.pg_depend d on d.classid operator(pg_catalog.=) 'pg_catalog.pg_operator'::pg_catalog.regclass
     and d.objid operator(pg_catalog.=) o.oid and d.deptype operator(pg_catalog.=) 'e'
   left join pg_catalog.pg_extension e on e.oid operator(pg_catalog.=) d.refobjid
   where (n.nspname operator(pg_catalog.<>) all ('{pg_catalog,information_schema}'::pg_catalog.name[])
     or o.oid operator(pg_catalog.>=) 16384::pg_catalog.oid) order by 1) x),
 'types', (select pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, t.typname, t.typtype, coalesce(e.extname, ''),
     t.typtype operator(pg_catalog.=) 'd' and exists (select 1 from pg_catalog.pg_constraint k
       where k.contypid operator(pg_catalog.<>) 0::pg_catalog.oid)
     or exists (select 1 from pg_catalog.pg_cast k where k.castfunc operator(pg_catalog.>=) 16384::pg_catalog.oid
       and (k.castsource operator(pg_catalog.=) t.oid or k.casttarget operator(pg_catalog.=) t.oid)),
     t.oid::pg_catalog.int8, t.typbasetype::pg_catalog.int8) order by t.oid)
   from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) t.typnamespace
   left join pg_catalog.pg_depend d on d.classid operator(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass
     and d.objid operator(pg_catalog.=) t.oid and d.deptype operator(pg_catalog.=) 'e'
   left join pg_catalog.pg_extension e on e.oid operator(pg_catalog.=) d.refobjid
   where n.nspname operator(pg_catalog.!~) '^pg_(toast|temp)'
     and (t.typcategory operator(pg_catalog.<>) 'A' or t.typname operator(pg_catalog.!~) '^_')
     and t.typtype operator(pg_catalog.<>) 'p'),
 'languages', (select pg_catalog.json_agg(x.j) from (
   select distinct pg_catalog.jsonb_build_array(l.lanname, coalesce(e.extname, '')) as j
   from pg_catalog.pg_proc f join pg_catalog.pg_language l on l.oid operator(pg_catalog.=) f.prolang
   left join pg_catalog.pg_depend d on d.classid operator(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
     and d.objid operator(pg_catalog.=) f.oid and d.deptype operator(pg_catalog.=) 'e'
   left join pg_catalog.pg_extension e on e.oid operator(pg_catalog.=) d.refobjid
   where f.oid operator(pg_catalog.>=) 16384::pg_catalog.oid order by 1) x),
 'casts', exists (select 1 from pg_catalog.pg_cast k where k.oid operator(pg_catalog.>=) 16384::pg_catalog.oid
   and k.castsource operator(pg_catalog.<) 16384::pg_catalog.oid and k.casttarget operator(pg_catalog.<) 16384::pg_catalog.oid)
)::pg_catalog.text`
