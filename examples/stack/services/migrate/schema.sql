set client_min_messages = warning;
create table if not exists job (number integer not null, done timestamptz not null default now());
